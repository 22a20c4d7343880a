package hubv1

import _ "embed"

// OpenAPI is the description of FleetService over REST, as JSON. It is generated; it must not be changed.
//
//go:embed fleet.swagger.json
var OpenAPI []byte
