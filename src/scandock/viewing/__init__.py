"""Pixels: slices, thumbnails and headers, decoded in processes of their own."""
