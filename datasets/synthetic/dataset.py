"""The embedded data set: furnished rooms, rendered on first use.

Data card
---------
* **What**: views of furnished bedrooms, living rooms, offices and kitchens, in equal parts; by default 128 rooms for
  training and 32 for testing, some 480 frames of 120x160. A room has two to four views; neighbouring ones overlap.
  No room is in both splits.
* **Source**: this package; no third-party data. The same seed gives the same files, bit for bit, on the same machine
  with the same versions of numpy and Embree, whatever the number of processes. Another processor gives the same rooms
  up to rounding: it may see another surface in up to 0.5 % of the pixels.
* **Licence**: the licence of the project.
* **Classes**: the 40 classes of NYU-v2, of which 32 occur, each in both splits. Clothes, towel, shower curtain, person,
  toilet, bathtub, otherstructure and otherfurniture do not occur. No pixel is unlabelled.
* **Size**: 120x160 by default; any size of 32x32 and more can be rendered.
* **Images**: ray cast, 2x2 samples per pixel: procedural textures, shadows of lamps, windows and sun, one reflection
  in mirrors, sensor noise. Indirect light is an ambient term with occlusion; nothing is glossy.
* **Semseg**: class of the surface that the ray through the pixel centre meets; details thinner than a pixel may be
  missed.
* **Depth**: exact, along the optical axis. A mirror has the depth of its glass, a window the depth of its pane.
* **Normals**: exact, of the triangles (round things are facetted); rounded to float16 on disk.
* **Boundary**: pixels whose object differs from the object of the right, lower or lower right neighbour. Objects, not
  classes: two chairs have an edge between them, two walls have none.
* **Deviations**: results compare with results on the same id only; another size, number of rooms, seed or version of
  the generator has another id. In contrast to real data, depth and normals have neither noise nor holes, every pixel
  has a label, and boundaries run between objects (the boundaries prepared for NYU-v2 run between classes).

The camera resembles the NYU-v2 camera (focal length 0.81 image widths, +-6 % from room to room); it stands at eye
height.
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
        """Render the data set at its default size if it is missing or cannot be used.

        Args:
            root: folder of the data set. Existing data are only checked, in milliseconds.

        Raises:
            DataError: if something other than a synthetic data set lies there.
        """
        generate.ensure(Path(root))

    @classmethod
    def identity(cls, root: Path) -> dict[str, str]:
        """Version of the generator, size and seed of the data at `root`, or of the data that `ensure` would render.

        The fingerprint is left out, since the last bits of the same rooms differ between processors.
        """
        return generate.identity(Path(root))
