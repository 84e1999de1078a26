"""Plausibility checks during preparation, which need no second reading of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.doctor import summary
from datasets.doctor.frames import FrameFacts, measure, with_agreement
from datasets.doctor.report import Finding, grouped
from datasets.doctor.tables import Tables, check_cameras, check_scenes
from datasets.layout.frame_files import Array, modality_path
from datasets.layout.label_kinds import IMAGES
from datasets.layout.manifest_tables import DatasetInfo, FrameRecord

MAX_FINDINGS = 20


@dataclass(frozen=True)
class PreparationExaminer:
    """The checks of the doctor for `datasets.preparation.preparing.prepare`."""

    def measure(
        self,
        record: FrameRecord,
        arrays: Mapping[str, Array],
        kinds: Mapping[str, str],
        num_classes: Mapping[str, int],
        compare_axes: bool,
    ) -> FrameFacts:
        """Measure one frame, in the process that read it.

        Args:
            record: line of frames.csv.
            arrays: the images and labels as stored.
            kinds: kind of each modality.
            num_classes: C of each class map.
            compare_axes: True to compare the normals with the depth, which takes longer than all other checks.
        """
        facts = FrameFacts(record.name, record.split, [], {}, {})
        labels = {name: array for name, array in arrays.items() if name != IMAGES}
        for name, array in labels.items():
            path = modality_path(Path(), name, record.name, kinds)
            found = measure(array, name, kinds[name], num_classes.get(name, 0), facts, path)
            facts.findings.extend((name, finding) for finding in found)
        return with_agreement(facts, labels, kinds, record) if compare_axes else facts

    def findings(
        self,
        info: DatasetInfo,
        records: Sequence[FrameRecord],
        digests: Mapping[str, str],
        frames: Sequence[FrameFacts],
    ) -> tuple[str, ...]:
        """The first `MAX_FINDINGS` findings about the data set, one line each, problems first.

        Args:
            info: content of dataset.json.
            records: lines of frames.csv.
            digests: lines of checksums.csv.
            frames: measures of all frames.
        """
        root, tables = Path(), Tables(info, records, digests)
        by_frame = [(modality, finding) for frame in frames for modality, finding in frame.findings]
        found: list[Finding] = [
            *check_scenes(root, tables),
            *check_cameras(root, tables),
            *grouped([*by_frame, *summary.check_axes(root, info, frames)]),
            *summary.check_pictures(root, tables, frames),
            *summary.check_labels(root, info, frames),
        ]
        return tuple(finding.line() for finding in sorted(found, key=lambda finding: finding.level))[:MAX_FINDINGS]
