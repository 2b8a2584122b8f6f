// Package server is the outside of Kontor: the listeners (gRPC, HTTP, admin), who may call what, how fast and with which requests, and what
// leaves as an error. REST lives in package rest below it and calls the same guarded services through an in-process channel, so whatever
// holds for gRPC holds for REST.
//
// One thing guards every call: guard, which wraps the service descriptions before anything registers them. It goes, always in this order,
// through: recover, request id, access log, metrics and span, authentication, scope, quota, limits, unknown fields, validation, deadline, the
// service, and at the end the error's reason.
//
// What a call does is none of this package's business; it takes the services as interfaces.
package server
