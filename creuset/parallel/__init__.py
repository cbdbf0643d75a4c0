"""How one model lives on many devices."""
