"""What people look at: pages, tables and charts."""
