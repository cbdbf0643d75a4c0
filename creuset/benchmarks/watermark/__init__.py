"""The watermark, measured and attacked."""
