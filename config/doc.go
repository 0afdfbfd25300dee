// Package config reads the environment into one checked struct. Every error names the variable, what is wrong with its
// value and what would be right, and never shows the value of a secret.
package config
