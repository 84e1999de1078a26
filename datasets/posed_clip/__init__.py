"""Posed RGB-D clips, prepared by tools/prepare_clips.py: 7-Scenes, TUM RGB-D, or a COLMAP text model with depth."""
