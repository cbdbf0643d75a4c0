"""One answer in the making: its text, its stop strings, its thoughts, its form."""
