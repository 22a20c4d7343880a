package ca

import (
	"errors"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// Why a caller's certificate is refused.
var (
	// ErrNoCertificate: the caller has shown none. Enroll is all that it may call.
	ErrNoCertificate = errors.New("the caller has shown no cluster certificate")
	// ErrOtherFleet: the certificate names another fleet.
	ErrOtherFleet = errors.New("the certificate is of another fleet")
	// ErrOtherCA: the certificate names this fleet, but this hub's CA has not issued it.
	ErrOtherCA = errors.New("the certificate is not issued by this hub's CA")
	// ErrNotYetValid: the certificate begins in the future.
	ErrNotYetValid = errors.New("the certificate is not valid yet; the clocks of hub and spoke may differ")
	// ErrExpired: the certificate has expired, at most [certs.RenewalWindow] ago. Its holder may renew it, and nothing else.
	ErrExpired = errors.New("the cluster's certificate has expired; it has to be renewed first")
	// ErrExpiredLongAgo: it has expired longer ago than that.
	ErrExpiredLongAgo = errors.New("the cluster's certificate expired too long ago to be renewed; delete the cluster at the hub and enrol it anew")
)

// Why a cluster is refused although its certificate is good.
var (
	// ErrUnknownCluster: the hub has no such cluster, and does not remember one.
	ErrUnknownCluster = errors.New("the hub does not know this cluster")
	// ErrDeletedCluster: it has been deleted, or its deletion is under way where a new certificate is asked for.
	ErrDeletedCluster = errors.New("the cluster has been deleted")
	// ErrBanned: an operator has banned it.
	ErrBanned = errors.New("the cluster is banned")
	// ErrKeyMismatch: the key is not the one that the cluster enrolled with.
	ErrKeyMismatch = errors.New("the key is not the one that the cluster has enrolled with")
	// ErrCloned: the identity is used from another Kubernetes cluster, or the Kubernetes cluster is enrolled under another name.
	ErrCloned = errors.New("the identity belongs to another Kubernetes cluster")
)

// Why an enrolment is refused.
var (
	// ErrBadToken: a text that is no token at all.
	ErrBadToken = certs.ErrTokenFormat
	// ErrTokenUnknown: no such token, or a wrong secret; which of both is not told.
	ErrTokenUnknown = errors.New("the enrolment token is not known: it may have been replaced by a newer one, its cluster may have been deleted, " +
		"or the hub was restored from a backup, which holds no tokens")
	// ErrTokenExpired: its time is over.
	ErrTokenExpired = errors.New("the enrolment token has expired")
	// ErrTokenUsed: a spoke with another key has used it.
	ErrTokenUsed = errors.New("the enrolment token has been used already, with another key")
	// ErrTokenForeign: another hub's CA has made it.
	ErrTokenForeign = errors.New("the enrolment token was made by another hub")
	// ErrEnrolled: the cluster has a spoke already, with another key.
	ErrEnrolled = errors.New("the cluster is enrolled already")
	// ErrBadCSR: the certificate request, or the uid beside it, is not acceptable; the message says why.
	ErrBadCSR = errors.New("the certificate request is not acceptable")
	// ErrTTL: a token is asked for that lives too long, or not at all.
	ErrTTL = errors.New("the token's lifetime is out of bounds")
)
