// Package coalesce lets those who want the same at one time share it, in three ways: Group joins who comes to
// what is under way, Recent also who comes in the moment after it, and Next joins nobody to what is under way, since
// that may have begun too early for them. Turns, on which Next stands, shares nothing: it lets one go after the other.
//
// But for Recent, nothing outlives its call: a result is given to those who waited for it and then forgotten.
package coalesce
