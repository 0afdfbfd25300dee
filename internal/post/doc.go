// Package post sends a body to an HTTP address, again where that makes sense. Its errors show neither the address nor what was
// answered: both may hold secrets.
package post
