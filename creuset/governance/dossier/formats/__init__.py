"""The dossier for other programs: cards of the hub, the ML-BOM, Croissant."""
