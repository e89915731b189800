"""Pure numerics: frames and arrays in, numbers out. Knows no project and no store."""
