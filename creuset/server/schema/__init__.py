"""What requests and replies look like, as structs: requests are validated by them, /openapi.json is made of them."""
