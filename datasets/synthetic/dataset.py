"""The embedded data set: furnished rooms, rendered where they are first asked for.

Data card
---------
* **What**: views of furnished bedrooms, living rooms, offices and kitchens, in equal parts; by default 128 rooms for
  training and 32 for testing, some 480 frames of 120x160. A room has two to four views; neighbouring ones overlap.
  No room is in both splits.
* **Source**: this package; no third-party data. The same seed gives the same files, bit for bit, on the same machine
  with the same versions of numpy and Embree, whatever the number of processes.
* **Licence**: that of the project.
* **Classes**: the 40 of NYU-v2, of which 32 occur, each in both splits: all but clothes, towel, shower curtain,
  person, toilet, bathtub, otherstructure and otherfurniture. No pixel is unlabelled.
* **Size**: 120x160 by default; any size of 32x32 and more can be rendered.
* **Images**: ray cast, 2x2 samples per pixel: procedural textures, shadows of lamps, windows and sun, one reflection
  in mirrors, sensor noise. Indirect light is an ambient term with occlusion; nothing is glossy.
* **Semseg**: what the ray through the pixel centre meets; details thinner than a pixel come and go.
* **Depth**: exact, along the optical axis. A mirror has the depth of its glass, a window that of its pane.
* **Normals**: exact, of the triangles (round things are facetted); rounded to float16 on disk.
* **Boundary**: pixels whose object differs from that of the right, lower or lower right neighbour. Objects, not
  classes: two chairs have an edge between them, two walls have none.
* **Deviations**: nothing compares with it but itself; another size, number of rooms or seed, and another version of the
  generator, have another id. From real data it differs in depth and normals without noise or holes, in labels at every
  pixel, and in boundaries that run between objects, while those prepared for NYU-v2 run between classes.

The camera resembles that of NYU-v2 (focal length 0.81 image widths, +-6 % from room to room); it stands at eye height.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.registry import DATASETS
from datasets.loading.canonical import CanonicalDataset
from datasets.synthetic import generate


@DATASETS.register("synthetic", title="Synthetic rooms", paper="datasets/synthetic/dataset.py", year=2026)
class Synthetic(CanonicalDataset):
    """One split of the rendered rooms; the data card is at the top of this module.

    Arguments and items: see `CanonicalDataset`. `frames[i].scene` names the room of a frame, `frames[i].pose` its
    camera-to-world matrix.
    """

    @classmethod
    def ensure(cls, root: Path | str) -> None:
        """Render the data set at its default size where there is none, or none that can be used.

        Args:
            root: its folder. What is there already is only checked, in milliseconds.

        Raises:
            DataError: if something other than a synthetic data set lies there.
        """
        generate.ensure(Path(root))

    @classmethod
    def identity(cls, root: Path) -> dict[str, str]:
        """Version of the generator, size and seed of the data at `root`, or of those that `ensure` will render there.

        No fingerprint: the same rooms differ in their last bits between processors.
        """
        return generate.identity(Path(root))
