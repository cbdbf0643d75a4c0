"""What was used and what it cost, told: in buckets, for the page of administration, as FOCUS and as invoices."""
