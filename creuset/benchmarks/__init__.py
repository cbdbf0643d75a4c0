"""What is asked: a file a task or family of tasks; catalogue.py has their names."""
