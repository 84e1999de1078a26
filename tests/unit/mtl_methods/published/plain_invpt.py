"""InvPT step by step as ../shared/specs/methods.md section 4.8 words it, under the names of the public code.

Nothing is batched over tasks, folded or fused. It is what our InvPT is compared with where there are no golden outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 16


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def as_tokens(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)


def as_maps(tokens: Tensor, size: Sequence[int]) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, tuple(size))


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    return (query @ key.transpose(-2, -1) * scale).softmax(-1) @ value


class Mlp(nn.Module):
    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = attend(*split.unbind(), (tokens.shape[2] // self.heads) ** -0.5)
        return self.proj(attended.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = SelfAttention(width, heads), Mlp(width, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Encoder(nn.Module):
    """The maps after each quarter of the blocks; only the last is normalised."""

    def __init__(self, width: int, blocks: int, heads: int, size: Sequence[int]) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + size[0] * size[1] // PATCH**2, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, stride=PATCH)})
        self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> list[Tensor]:
        patches = self.patch_embed["proj"](images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), as_tokens(patches)], 1) + self.pos_embed
        found = []
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens)
            if number % (len(self.blocks) // 4) == 0:
                last = number == len(self.blocks)
                found.append(as_maps((self.norm(tokens) if last else tokens)[:, 1:], patches.shape[2:]))
        return found


class ConvBN(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv, self.bn1 = nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv(maps)))


class QueryConv(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1, groups=width, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        return self.bn(self.conv(maps))


class TaskAttention(nn.Module):
    def __init__(self, tasks: int, width: int, heads: int, cell: int) -> None:
        super().__init__()
        self.heads, self.cell, self.width = heads, cell, width
        self.conv_proj_q = nn.ModuleList(QueryConv(width) for _ in range(tasks))
        self.proj_q, self.proj_k, self.proj_v, self.proj = (nn.Linear(width, width) for _ in range(4))
        self.fuse_attn = nn.Conv2d(2 * heads, heads, 1)

    def forward(self, maps: Sequence[Tensor], message: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """Maps (B, d, h, w) of the tasks; message (B, heads, queries, keys) of the stage before."""
        height, width = (length // 2 for length in maps[0].shape[2:])
        queries = torch.cat([as_tokens(conv(own)) for conv, own in zip(self.conv_proj_q, maps, strict=True)], 1)
        cells = torch.cat([as_tokens(F.avg_pool2d(own, self.cell, ceil_mode=True)) for own in maps], 1)
        query = self.split(self.proj_q, queries)
        key, value = self.split(self.proj_k, cells), self.split(self.proj_v, cells)
        scores = query @ key.transpose(2, 3) * self.width**-0.5
        if message is not None:
            passed = message.unflatten(2, (len(maps), height // 2, width // 2)).permute(0, 1, 2, 5, 3, 4)
            upsampled = resized(passed.flatten(0, 2), (height, width)).view(*passed.shape[:4], height, width)
            fine = upsampled.permute(0, 1, 2, 4, 5, 3).flatten(2, 4)
            scores = self.fuse_attn(torch.cat([scores, fine], 1))
        tokens = self.proj((scores.softmax(3) @ value).transpose(1, 2).flatten(2))
        parts = [as_maps(part, (height, width)) for part in tokens.chunk(len(maps), 1)]
        return [resized(part, maps[0].shape[2:]) for part in parts], scores

    def split(self, layer: nn.Module, tokens: Tensor) -> Tensor:
        return layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)


class TaskBlock(nn.Module):
    def __init__(self, tasks: int, width: int, heads: int, cell: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = TaskAttention(tasks, width, heads, cell), Mlp(width, 4)

    def forward(self, maps: Sequence[Tensor], message: Tensor | None) -> tuple[list[Tensor], Tensor]:
        size = maps[0].shape[2:]
        normed = [as_maps(self.norm1(as_tokens(own)), size) for own in maps]
        attended, message = self.attn(normed, message)
        tokens = [as_tokens(own + more) for own, more in zip(maps, attended, strict=True)]
        return [as_maps(own + self.mlp(self.norm2(own)), size) for own in tokens], message


class UpEmbed(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        wide = {"padding": 2, "dilation": 2, "bias": False}
        self.proj = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(before, after, 3, **wide), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, **wide), nn.BatchNorm2d(after), nn.ReLU(),
        )  # fmt: skip


class Stage(nn.Module):
    def __init__(self, tasks: int, before: int, width: int, heads: int, number: int) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleList(UpEmbed(before, width) for _ in range(tasks)) if number else None
        self.blocks = nn.ModuleList([TaskBlock(tasks, width, heads, 2 << number)])


class Transformer(nn.Module):
    def __init__(self, channels: Mapping[str, int], task_width: int, width: int, heads: int) -> None:
        super().__init__()
        tasks, widths = len(channels), [width, width // 2, width // 4]
        self.norm_mts = nn.ModuleList(nn.LayerNorm(tasks * own) for own in widths)
        self.redu_chan = nn.ModuleList(nn.ModuleList(nn.Conv2d(own, width, 1) for _ in range(tasks)) for own in widths)
        self.invpt_stages = nn.ModuleList(
            Stage(tasks, 2 * own, own, heads, number) for number, own in enumerate(widths)
        )
        self.norm_mt = nn.LayerNorm(width)
        self.mt_proj = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
                for name in channels
            }
        )
        self.mix_proj = nn.ModuleDict(
            {name: nn.Sequential(nn.Conv2d(task_width + own, width, 1)) for name, own in channels.items()}
        )

    def forward(self, started: Sequence[Tensor], skips: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        maps, message = [mix(own) for mix, own in zip(self.mix_proj.values(), started, strict=True)], None
        totals: list[Tensor | int] = [0] * len(maps)
        for number, (stage, norm) in enumerate(zip(self.invpt_stages, self.norm_mts, strict=True)):
            if number:
                embeds = zip(stage.patch_embed, maps, strict=True)
                maps = [embed.proj(own) + skips[number - 1] for embed, own in embeds]
            maps, message = stage.blocks[0](maps, message)
            together = as_maps(norm(as_tokens(torch.cat(maps, 1))), maps[0].shape[2:])
            for task, own in enumerate(together.chunk(len(maps), 1)):
                reduced = self.redu_chan[number][task](own) if number else own
                totals[task] = totals[task] + resized(reduced, size)
        return [project(total) for project, total in zip(self.mt_proj.values(), totals, strict=True)]


class Decoder(nn.Module):
    def __init__(self, start: int, channels: Mapping[str, int], task_width: int, width: int, heads: int) -> None:
        super().__init__()
        self.intermediate_head = nn.ModuleDict({name: nn.Conv2d(task_width, own, 1) for name, own in channels.items()})
        self.invpt = Transformer(channels, task_width, width, heads)
        self.preliminary_decoder = nn.ModuleDict(
            {name: nn.Sequential(ConvBN(start, start), ConvBN(start, task_width)) for name in channels}
        )
        self.scale_embed = nn.ModuleList([
            nn.ConvTranspose2d(start, width // 4, 3, stride=2, padding=1, output_padding=1),
            nn.Conv2d(start, width // 2, 3, padding=1),
            nn.Conv2d(start, width, 3, padding=1),
        ])  # fmt: skip

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
        skips = [embed(own) for embed, own in zip(self.scale_embed, maps[:3], strict=True)]
        rows, columns = maps[3].shape[2:]
        start = resized(maps[3], (rows // 2, columns // 2))
        features = {name: decode(start) for name, decode in self.preliminary_decoder.items()}
        logits = {name: head(features[name]) for name, head in self.intermediate_head.items()}
        started = [torch.cat([features[name], logits[name]], 1) for name in features]
        return self.invpt(started, (skips[1], skips[0]), (4 * rows, 4 * columns)), logits


class PlainInvPT(nn.Module):
    """The network of the public code.

    Args:
        channels: of each task's prediction, by the public names, in the order of the tasks.
        encoder: width, blocks and heads of the Vision Transformer.
        size: (H, W) of the images.
        task_width: channels of the preliminary features.
        width: channels of the first stage.
        heads: heads of the attention across tasks.
    """

    def __init__(
        self, channels: Mapping[str, int], encoder: tuple[int, int, int], size: Sequence[int],
        task_width: int = 512, width: int = 576, heads: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.backbone = Encoder(*encoder, size)
        self.multi_task_decoder = Decoder(encoder[0], channels, task_width, width, heads)
        self.heads = nn.ModuleDict(
            {name: nn.ModuleDict({"linear_pred": nn.Conv2d(width, own, 1)}) for name, own in channels.items()}
        )

    def forward(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Final and preliminary predictions, by the public names."""
        size = images.shape[2:]
        maps, logits = self.multi_task_decoder(self.backbone(images))
        heads = zip(self.heads.items(), maps, strict=True)
        final = {name: resized(head["linear_pred"](own), size) for (name, head), own in heads}
        return final, {name: resized(own, size) for name, own in logits.items()}
