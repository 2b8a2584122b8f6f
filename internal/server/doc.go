// Package server is the outside of Kontor: the listeners (gRPC, HTTP, admin) and what is answered on them beside the
// API: callbacks, the API's description, metrics and probes.
//
// The API itself is served in three steps, each in a package of its own. Package guard stands before every method: who
// may call, how fast, with which requests. Package rest is the JSON front; it calls the guarded services through a
// channel of package inproc, so whatever holds for gRPC holds for REST. Which services there are is in internal/api.
//
// What a call does is none of this package's business; it takes implementations of the services.
package server
