// Package coalesce lets those who want the same at one time share it, in two ways: Group joins who comes to
// what is under way, and Next never does, since what is under way may have begun too early for them. Turns,
// on which Next stands, shares nothing: it lets one go after the other.
//
// Nothing outlives its call: a result is given to those who waited for it and then forgotten.
package coalesce
