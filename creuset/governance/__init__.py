"""Evidence for people who decide: audit, dossier, comparison and model card. It reads artifacts and measures."""
