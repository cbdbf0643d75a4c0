"""What a tokenizer is made of: its tokens as bytes, those that steer the model, and the files that hold them."""
