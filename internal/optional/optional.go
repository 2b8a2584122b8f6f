// Package optional fills the optional fields of messages. In the API what is not known is absent, never an empty
// string or an unspecified enum.
package optional

// Of gives v for an optional field: nothing when v is the zero value, which stands for what is not known.
func Of[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
