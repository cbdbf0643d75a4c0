"""Fine-tuning: dialogues and the instruction data written by rule."""
