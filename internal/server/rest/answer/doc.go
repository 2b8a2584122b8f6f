// Package answer writes messages as the JSON of answers, by appending to a slice.
//
// The JSON is protojson's with default values and without its random blanks, but for what is not known, which is not
// there: no field, and no entry of a map, is an empty text, and no field that is INPUT_ONLY is empty. What is within an
// open object (google.protobuf.Struct and its like) is the provider's and passes as it is. A test holds every type of
// message of the API, filled at random, to protojson.
//
// What is to be done for a type of message is prepared once, as its shape (shape.go). A shape finds fields by their
// index in the generated struct, with package reflect. Well-known types that are no part of a frequent answer are left
// to protojson itself (wellknown.go).
//
// The package knows nothing of HTTP, nor of how streams are framed.
package answer
