"""One model for training and serving; `config` and `count` are arithmetic only."""
