"""Words that several layers speak: messages, generation requests, measures. No torch and no I/O here."""
