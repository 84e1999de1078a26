"""The real NYU-Depth-V2: its 1449 labelled frames, prepared by tools/prepare_nyuv2.py."""
