// Package kontor holds what is made from the API's definition and served with it. The code lives in cmd and internal.
package kontor

import _ "embed"

// OpenAPI is the REST API's description, an OpenAPI document in JSON.
//
//go:embed gen/openapi/kontor.openapi.json
var OpenAPI []byte
