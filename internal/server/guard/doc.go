// Package guard decides who may call what, how fast and with which requests, and what leaves as an error. A Guard
// stands before every method of the API, whatever the call came through: gRPC's listener and the channel within the
// process that REST uses get their services from Register, so that no service is reached without it.
//
// A call goes, always in this order, through: recover, request id, metrics and span, authentication, quota, scope,
// what travels beside the request (the end user's address, idempotency key, last event), the bound of calls under
// way, the deadline, the request itself (unknown fields, validation), the service, and at the end the error's reason,
// the audit of refusals and failures, and the access log.
//
// What is listened on, and how JSON becomes a request, is not here, nor is what a call does.
package guard
