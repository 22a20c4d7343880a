package apply

import (
	"encoding/base64"
	"maps"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// withoutStringData answers a Secret with what stringData says in its data, as the API server would store it. Server-side apply
// keeps ownership of stringData, which no stored Secret has: edits of the data would go unseen, and keys that leave the manifest
// would stay in the cluster. The object is not changed.
func withoutStringData(object manifest.Object) manifest.Object {
	texts, ok := object["stringData"].(map[string]any)
	if !ok || object.APIVersion() != "v1" || object.Kind() != "Secret" {
		return object
	}
	data, _ := object["data"].(map[string]any)
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	for key, value := range texts {
		text, ok := value.(string)
		if !ok {
			return object // the API server says what is wrong with it
		}
		data[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	out := maps.Clone(object)
	delete(out, "stringData")
	out["data"] = data
	return out
}
