"""Pictures and reports of fits and of active learning."""
