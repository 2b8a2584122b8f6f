package server

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/server/guard"
)

// Bounds of gRPC connections that nobody needs to set.
const (
	maxStreamsPerConnection = 256
	minPing                 = 10 * time.Second // callers who ping more often are cut off
	pingAfter               = time.Minute      // of silence, to notice a caller that is gone
	pingTimeout             = 20 * time.Second
	connectTimeout          = 10 * time.Second
	// maxUnread is how much of a request is taken from the network before somebody reads it.
	maxUnread = 64 << 10
	// maxConnectionWindow is how much of all requests of a connection may be on its way.
	maxConnectionWindow = 1 << 20
	// maxMetadata is how much metadata a call may have: the longest key or token, and half as much for all else. A
	// connection may hold so much for each of its streams.
	maxMetadata = 12 << 10
	// readBuffer is what each connection has to read with, whether or not it sends anything.
	readBuffer = 8 << 10
	// workers are goroutines that serve one call after the other, and keep the stack that calls need: a read costs 7 %
	// less CPU with them, one from the store alone 5 to 24 % (make bench, twice in turns). Each stream
	// keeps one for as long as it lasts, so that where more are open nothing is gained: calls that find none get a
	// goroutine of their own.
	workers = 64
	// maxQuestion bounds what the library reads by itself: what clients ask about the API. The guard reads requests.
	maxQuestion = 16 << 10
)

func (s *Server) newGRPC() {
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(guard.Codec()),
		grpc.MaxConcurrentStreams(maxStreamsPerConnection),
		grpc.NumStreamWorkers(workers),
		grpc.MaxRecvMsgSize(maxQuestion),
		grpc.MaxHeaderListSize(maxMetadata),
		// A window that is set does not grow by itself.
		grpc.StaticStreamWindowSize(maxUnread),
		grpc.StaticConnWindowSize(maxConnectionWindow),
		grpc.ReadBufferSize(readBuffer),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.InTapHandle(s.guard.Tap),
		grpc.StatsHandler(s.guard.Connections()),
		grpc.UnknownServiceHandler(s.guard.Unknown),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: idleTimeout,
			// The library takes zero for "for ever", and spreads the age by a tenth.
			MaxConnectionAge:      s.options.Limits.ConnectionAge,
			MaxConnectionAgeGrace: s.options.Limits.ConnectionAgeGrace,
			Time:                  pingAfter,
			Timeout:               pingTimeout,
		}),
	}
	if s.certificates != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.certificates.forGRPC())))
	}
	s.grpc = grpc.NewServer(options...)
	s.guard.RegisterGRPC(s.grpc)
	for _, service := range api.Services() {
		s.health.SetServingStatus(service.Desc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	}
	guard.RegisterHealth(s.grpc, s.health)
	if s.options.Reflection {
		reflection.Register(s.guard.Reflection(s.grpc))
	}
}
