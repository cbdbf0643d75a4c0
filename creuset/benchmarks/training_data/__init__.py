"""What stands in the data a model was trained on."""
