package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Enroller makes enrolment tokens; *ca.CA is one.
type Enroller interface {
	// Pin identifies the hub's CA: "sha256:…".
	Pin() string
	// DraftToken draws a token that lives for ttl, or a default time if that is 0. The error wraps ca.ErrTTL where it is out of bounds.
	DraftToken(ttl time.Duration) (*ca.Draft, error)
	// MintToken makes the draft a token of a cluster, which is in the transaction, and returns its text. Tokens of that cluster that have
	// not been used end.
	MintToken(tx *store.Tx, cluster *yardarmv1.Cluster, draft *ca.Draft) (string, error)
}

// minTTL is the shortest life of a token that anybody could use.
const minTTL = time.Second

// EnrollCluster implements FleetService. The token is in the answer, and nowhere else.
func (s *Server) EnrollCluster(ctx context.Context, req *hubv1.EnrollClusterRequest) (*hubv1.EnrollClusterResponse, error) {
	var v violations
	check := checker{v: &v}
	check.name("name", req.GetName())
	check.labels("labels", req.GetLabels())
	var ttl time.Duration
	if req.GetTtl() != nil {
		ttl = req.GetTtl().AsDuration()
		if err := req.GetTtl().CheckValid(); err != nil || ttl < minTTL || ttl > ca.MaxTokenTTL {
			check.add("ttl", fmt.Sprintf("is %v; a token lives for between %v and %v", ttl, minTTL, ca.MaxTokenTTL))
		}
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	uid, err := s.newUID()
	if err != nil {
		return nil, err
	}
	draft, err := s.cfg.Enroller.DraftToken(ttl)
	if err != nil {
		return nil, err
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.EnrollClusterResponse, error) {
		row, err := c.awaitCluster(req, uid)
		if err != nil {
			return nil, err
		}
		token, err := s.cfg.Enroller.MintToken(c.Tx, row, draft)
		if err != nil {
			return nil, enrolRefusal(row, err)
		}
		if req.GetDryRun() {
			token = ""
		}
		return func(v view) *hubv1.EnrollClusterResponse {
				return &hubv1.EnrollClusterResponse{
					Cluster: v.cluster(row), Token: token, Expires: timestamppb.New(draft.Expires), SpokeAddresses: s.cfg.SpokeAddresses,
				}
			}, c.event(&yardarmv1.Event{Reason: "TokenIssued", Cluster: req.GetName(),
				Message: "an enrolment token was made, good until " + draft.Expires.UTC().Format(time.RFC3339)})
	})
}

// awaitCluster makes the cluster, or takes the one that awaits its spoke, and gives it the labels.
func (c *change) awaitCluster(req *hubv1.EnrollClusterRequest, uid string) (*yardarmv1.Cluster, error) {
	row := c.ClusterByName(req.GetName())
	if row == nil {
		row = &yardarmv1.Cluster{Metadata: c.newMeta(req.GetName(), uid), Spec: &yardarmv1.ClusterSpec{}}
		row.Metadata.Labels = maps.Clone(req.GetLabels())
		return row, c.putCluster(row)
	}
	next := proto.CloneOf(row)
	if next.Metadata.Labels == nil {
		next.Metadata.Labels = make(map[string]string)
	}
	maps.Copy(next.Metadata.Labels, req.GetLabels())
	switch {
	case c.Identity(row.Metadata.Uid) != nil:
		return nil, enrolRefusal(row, ca.ErrEnrolled)
	case len(next.Metadata.Labels) > maxLabels:
		return nil, invalid("labels", fmt.Sprintf("makes %d labels of the cluster; at most %d are kept", len(next.Metadata.Labels), maxLabels))
	case maps.Equal(row.Metadata.Labels, next.Metadata.Labels):
		return row, nil
	}
	return next, c.putCluster(next)
}

// enrolRefusal says what to do about a cluster that gets no token.
func enrolRefusal(row *yardarmv1.Cluster, err error) error {
	name := row.GetMetadata().GetName()
	switch {
	case errors.Is(err, ca.ErrEnrolled):
		message := fmt.Sprintf("cluster %q is enrolled already; to give the name to another one, or this one a new identity, delete it first (`yardarm delete cluster %s`)", name, name)
		return refuse(codes.AlreadyExists, reasonExists, map[string]string{"kind": yardarmv1.KindCluster, "name": name}, message,
			&errdetails.ResourceInfo{ResourceType: yardarmv1.KindCluster, ResourceName: name, Description: message})
	case errors.Is(err, ca.ErrBanned):
		return precondition(reasonState, yardarmv1.KindCluster, name, fmt.Sprintf("cluster %q is banned; unban it first", name))
	case errors.Is(err, ca.ErrDeletedCluster):
		return precondition(reasonState, yardarmv1.KindCluster, name, fmt.Sprintf(
			"cluster %q is being deleted; wait until its spoke has removed its workloads, or end it now (`yardarm delete cluster %s --keep`)", name, name))
	}
	return err
}
