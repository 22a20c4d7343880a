package api

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// matchKey is the metadata key of If-Match: REST's way to say resource_version.
const matchKey = "if-match"

// conditional puts a precondition that came as a header into the request, where handlers look for it. One that would be ignored is refused.
func conditional(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get(matchKey)
	if len(values) == 0 {
		return handler(ctx, req)
	}
	version, quoted := strings.CutPrefix(values[0], `"`)
	version, ended := strings.CutSuffix(version, `"`)
	if len(values) > 1 || !quoted || !ended || version == "" || strings.ContainsAny(version, `",`) {
		return nil, invalid("If-Match", `must be one entity tag, as the resource had it: "VERSION", with the quotes`)
	}
	message := req.(proto.Message).ProtoReflect()
	field := message.Descriptor().Fields().ByName("resource_version")
	switch {
	case field == nil:
		return nil, invalid("If-Match", "does not go with this call, which changes no single resource; leave it out")
	case message.Has(field) && message.Get(field).String() != version:
		return nil, invalid("If-Match", "is another version than the request's resource_version; give one of them")
	}
	message.Set(field, protoreflect.ValueOfString(version))
	return handler(ctx, req)
}
