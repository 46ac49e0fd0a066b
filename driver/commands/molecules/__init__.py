"""Commands, and parts of commands, about what electrons of molecules do."""
