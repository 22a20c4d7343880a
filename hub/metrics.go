package hub

import (
	"math"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// expiry tells when a certificate ends that is not renewed by itself: the hub's CA's, and one for the API that was given to it.
func expiry(certificate string, expires func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "yardarm_certificate_expiry_timestamp_seconds", Help: "When certificates end that the hub does not renew: ca, and api if it was given one.",
		ConstLabels: prometheus.Labels{"certificate": certificate},
	}, func() float64 { return float64(expires().Unix()) })
}

// broken tells whether a file of the configuration is.
func broken(file followed) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "yardarm_configuration_broken", Help: "1 while a file that a setting names is broken, and what it said before stays in use.",
		ConstLabels: prometheus.Labels{"setting": file.Setting()},
	}, func() float64 {
		if file.Err() != nil {
			return 1
		}
		return 0
	})
}

// diskMetrics tell how full the disk is that the data directory is on. They are not a number while that cannot be told.
func diskMetrics(dir string) []prometheus.Collector {
	figure := func(name, help string, of func(syscall.Statfs_t) uint64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			var disk syscall.Statfs_t
			if err := syscall.Statfs(dir, &disk); err != nil {
				return math.NaN()
			}
			return float64(of(disk)) * float64(disk.Bsize)
		})
	}
	return []prometheus.Collector{
		figure("yardarm_disk_available_bytes", "What the hub may still write to the disk of its data directory.",
			func(d syscall.Statfs_t) uint64 { return d.Bavail }),
		figure("yardarm_disk_size_bytes", "How large the disk of the hub's data directory is.",
			func(d syscall.Statfs_t) uint64 { return d.Blocks }),
	}
}
