// Package api is the one list of Kontor's RPC services, and what their descriptors say: HTTP mappings, requests,
// answers. Whatever serves, guards or names services goes by this list, so that a new service is one line here.
//
// What a call does is not here; the services are implemented below internal/service.
package api
