// Package report holds what the scenarios find, by the names under which it is printed, the targets that stand beside it, and
// the ways it is written down.
package report

// Connect is a fleet that connects and stays.
type Connect struct {
	Spokes int `json:"spokes"`
	// Drops are streams that ended while they were to stay.
	Drops               int     `json:"drops"`
	DropsBeforeHold     int     `json:"drops_before_hold"`
	HeldSeconds         float64 `json:"held_s"`
	EnrolmentsPerSecond float64 `json:"enrolments_per_s"`
	HandshakesPerSecond float64 `json:"handshakes_per_s"`
	// HubRSSPerSpoke is what the hub's resident memory has grown by since it had no cluster, after 20 changes.
	HubRSSPerSpoke  int64 `json:"hub_rss_per_spoke_bytes"`
	BareRSSPerSpoke int64 `json:"bare_rss_per_stream_bytes"`
	// RSSSlope is what each spoke of the second half has added, so that what a hub costs by itself is in no figure; BareRSSSlope
	// is that of the bare streams.
	RSSSlope       int64   `json:"hub_rss_slope_bytes"`
	BareRSSSlope   int64   `json:"bare_rss_slope_bytes"`
	RSSRatioToBare float64 `json:"rss_ratio_to_bare"`
	// FloorBroke is why there is no floor, so that its figures and the ratio are zero; empty if there is one. What was measured of the hub stands.
	FloorBroke   string  `json:"floor_broke,omitempty"`
	GeneratorCPU float64 `json:"generator_cpu_s"`
	HubCPU       float64 `json:"hub_cpu_s"`
}

// Idle is a fleet in which nothing changes.
type Idle struct {
	Spokes        int     `json:"spokes"`
	Seconds       float64 `json:"seconds"`
	HubCPUPercent float64 `json:"hub_cpu_percent"`
	// FloorCPUPercent is what a bare gRPC server takes that hears from as many streams as often.
	FloorCPUPercent float64 `json:"floor_cpu_percent"`
	Fsyncs          int     `json:"fsyncs"`
	GeneratorCPU    float64 `json:"generator_cpu_s"`
}

// Change is one changed field for all: times from the answer to the publication until spokes have it on disk.
type Change struct {
	Spokes        int     `json:"spokes"`
	Changes       int     `json:"changes"`
	P50           float64 `json:"p50_ms"`
	P99           float64 `json:"p99_ms"`
	Last          float64 `json:"last_ms"`
	FloorP99      float64 `json:"floor_p99_ms"`
	Ratio         float64 `json:"ratio"`
	BytesPerSpoke float64 `json:"bytes_per_spoke"`
	BytesUp       float64 `json:"bytes_up_per_spoke"`
	ArtifactBytes int     `json:"artifact_bytes"`
	HubCPU        float64 `json:"hub_cpu_s_per_change"`
	GeneratorCPU  float64 `json:"generator_cpu_s_per_change"`
	FloorCPU      float64 `json:"floor_cpu_s_per_change"`
}

// Rollout is one change that goes through a fleet stage by stage, what planning costs, and what people ask about it.
type Rollout struct {
	Spokes int `json:"spokes"`
	// ConvergedSeconds is from the answer to the publication until every cluster counts as done, the median of all changes; SlowestSeconds the longest.
	ConvergedSeconds float64 `json:"converged_s"`
	SlowestSeconds   float64 `json:"slowest_s"`
	// PlanPerReport is what one report costs in a fleet of so many clusters, with a rollout of each of so many bundles under way, in microseconds.
	Clusters      int     `json:"clusters"`
	Bundles       int     `json:"bundles"`
	PlanPerReport float64 `json:"plan_us_per_report"`
	// DiffSeconds is a diff of a publication for as many clusters, with 100 different inputs of customization, and Problems the list of what fails, in
	// milliseconds, where it does in so many of them: medians of calls. 0 where the hub was given.
	DiffSeconds float64 `json:"diff_s"`
	Problems    float64 `json:"problems_ms"`
	Failing     int     `json:"failing"`
}

// Stalled is one changed field for all, beside some spokes that read nothing and without them, in turns: the median over the changes of the others' p99.
type Stalled struct {
	Spokes     int     `json:"spokes"`
	Stalled    int     `json:"stalled"`
	P99        float64 `json:"p99_ms"`
	P99Without float64 `json:"p99_without_ms"`
	Ratio      float64 `json:"ratio"`
}

// Storm is a fleet whose hub is killed and started again.
type Storm struct {
	Spokes int `json:"spokes"`
	// ConvergedSeconds is from the hub's start until all are connected and their observed state is confirmed.
	ConvergedSeconds float64 `json:"converged_s"`
	// JitterWindow is the longest wait that a spoke had chosen by then.
	JitterWindow float64 `json:"jitter_window_s"`
	FloorFull    float64 `json:"floor_full_s"`
	FloorResumed float64 `json:"floor_resumed_s"`
	// Ratio is of what is beyond the window to FloorFull.
	Ratio float64 `json:"ratio"`
	// ResyncBytesPerSpoke are gRPC messages with their frames, both ways; SocketBytesPerSpoke all bytes, handshakes too.
	ResyncBytesPerSpoke float64 `json:"resync_bytes_per_spoke"`
	SocketBytesPerSpoke float64 `json:"socket_bytes_per_spoke"`
	RSSPeakRatio        float64 `json:"rss_peak_ratio"`
	// Writes are changes made over the API, one after another, until all are connected.
	Writes       int     `json:"writes"`
	WriteP99     float64 `json:"write_p99_ms"`
	HubCPU       float64 `json:"hub_cpu_s"`
	GeneratorCPU float64 `json:"generator_cpu_s"`
}

// Write is the store's own speed.
type Write struct {
	Writers                   int     `json:"writers"`
	WritesPerSecond           float64 `json:"writes_per_s"`
	SequentialWritesPerSecond float64 `json:"sequential_writes_per_s"`
	APIWritesPerSecond        float64 `json:"api_writes_per_s"`
	FdatasyncsPerSecond       float64 `json:"fdatasyncs_per_s"`
	SequentialRatio           float64 `json:"sequential_ratio"`
	// SyncsPerWrite is how many fdatasyncs one sequential write made, counted from outside; 0 where nothing could count.
	SyncsPerWrite float64 `json:"syncs_per_sequential_write"`
}

// Open is a hub that starts on a large database whose file is in no cache.
type Open struct {
	Clusters      int     `json:"clusters"`
	Bundles       int     `json:"bundles"`
	Seconds       float64 `json:"seconds"`
	RSS           int64   `json:"rss_bytes"`
	Peak          int64   `json:"rss_peak_bytes"`
	DatabaseBytes int64   `json:"database_bytes"`
	SeedSeconds   float64 `json:"seed_s"`
}

// API is what callers see of a large fleet of rows.
type API struct {
	Clusters int `json:"clusters"`
	Bundles  int `json:"bundles"`
	// Of lists of 50 clusters with filter and order, of facets of all, each after a change; of calls that read no fleet; and from a change until its
	// messages.
	ListP50   float64 `json:"list_p50_ms"`
	ListP99   float64 `json:"list_p99_ms"`
	FacetsP50 float64 `json:"facets_p50_ms"`
	FacetsP99 float64 `json:"facets_p99_ms"`
	FloorP50  float64 `json:"floor_p50_ms"`
	FloorP99  float64 `json:"floor_p99_ms"`
	WatchP50  float64 `json:"watch_p50_ms"`
	WatchP99  float64 `json:"watch_p99_ms"`
	// Authz is one decision about a token among 1,000 bindings, in microseconds.
	Authz float64 `json:"authz_us"`
	// ChangesPerSecond is what was asked for, and MadePerSecond what the machine has made of it.
	Watchers         int     `json:"watchers"`
	ChangesPerSecond int     `json:"changes_per_s"`
	MadePerSecond    float64 `json:"changes_made_per_s"`
	Messages         int     `json:"messages"`
	// HubCPU and GeneratorCPU are the processor time of both sides while so many messages came, WatchSeconds how long that was.
	WatchSeconds float64 `json:"watch_s"`
	HubCPU       float64 `json:"hub_cpu_s"`
	GeneratorCPU float64 `json:"generator_cpu_s"`
	RSS          int64   `json:"rss_bytes"`
}

// Dashboard is what a browser makes of a large fleet: the page of the fleet, with its map, and the table of clusters.
type Dashboard struct {
	Clusters int `json:"clusters"`
	Bundles  int `json:"bundles"`
	// FirstPaint is from the navigation until the sums and the map of all clusters are painted; the first after the hub's start waits until the hub has
	// derived what it counts. Filter and Sort are from a press until the table's new rows are painted. Medians, at rest.
	FirstPaint      float64 `json:"first_paint_ms"`
	FirstAfterStart float64 `json:"first_after_start_ms"`
	Filter          float64 `json:"filter_ms"`
	Sort            float64 `json:"sort_ms"`
	// Nodes is how many the document has at most.
	Nodes int `json:"nodes"`
	// While so many states changed a second for so long: how much of the time the page's main thread ran, by the processor time of the thread, and
	// how much more it held after than before, without garbage.
	ChangesPerSecond float64 `json:"changes_per_s"`
	Seconds          float64 `json:"seconds"`
	BusyPercent      float64 `json:"busy_percent"`
	HeapGrowth       int64   `json:"heap_growth_bytes"`
	Heap             int64   `json:"heap_bytes"`
	// Dropped is how many of the clusters that changed are drawn in another state than the API answers, in the end.
	Dropped int `json:"dropped"`
}

// Growth is how costs follow size.
type Growth struct {
	Sizes []int `json:"sizes"`
	// Memory is the hub's resident memory beyond that without clusters, in bytes, and ChangeCPU its processor time for one
	// change of all, TenCPU that for one of ten clusters, in seconds, without what it takes meanwhile for no change: IdleCPU, of each second. All by size.
	Memory         []int64   `json:"memory_bytes"`
	ChangeCPU      []float64 `json:"change_cpu_s"`
	TenCPU         []float64 `json:"ten_cpu_s"`
	IdleCPU        []float64 `json:"idle_cpu_s_per_s"`
	MemoryExponent float64   `json:"memory_exponent"`
	ChangeExponent float64   `json:"change_exponent"`
	// SpokesCPU is the spokes' processor time for one change of all, and SpokesExponent how it grows: each does the same however many there are, so that what is above 1 is
	// the machine's, whose caches hold less of a larger fleet.
	SpokesCPU      []float64 `json:"spokes_cpu_s"`
	SpokesExponent float64   `json:"spokes_exponent"`
	// TenOfFewCPU is the processor time for a change of ten where no more than Few are connected.
	Few         int     `json:"few"`
	TenOfFewCPU float64 `json:"ten_of_few_cpu_s"`
	// TenOfManyRatio is what a change of ten clusters costs among all, to what it costs among a few; 0 where a change was lost in what the hub takes for none.
	TenOfManyRatio float64 `json:"ten_of_many_ratio"`
}

// Source is bundles that follow repositories, and a chart.
type Source struct {
	Clusters int `json:"clusters"`
	// PushP99 is from the webhook of a push of one of so many files until there is a revision of it.
	Files   int     `json:"files"`
	Pushes  int     `json:"pushes"`
	PushP99 float64 `json:"push_p99_ms"`
	// PollRefs is what a repository is asked when it is polled and has nothing new, PollWrites what the hub writes while all are polled.
	Repositories int     `json:"repositories"`
	PollRefs     float64 `json:"poll_refs"`
	PollWrites   int     `json:"poll_writes"`
	// Helm is how long a chart of so many objects takes, the median.
	Objects int     `json:"objects"`
	Helm    float64 `json:"helm_ms"`
	// RendersPerVariant is how often the hub has rendered for each revision that so many clusters run.
	RendersPerVariant float64 `json:"renders_per_variant"`
}
