package main

import (
	"math"
	"slices"
	"time"
)

// rounds keeps one figure for each round, of every system and metric.
type rounds map[string]map[string][]float64

func (r rounds) add(system, metric string, v float64) {
	if r[system] == nil {
		r[system] = map[string][]float64{}
	}
	r[system][metric] = append(r[system][metric], v)
}

func (r rounds) median(system, metric string) float64 { return median(r[system][metric]) }

// ratio is the median, the smallest and the largest of a's figure by b's, each taken within a round.
func (r rounds) ratio(metric, a, b string) spread {
	var all []float64
	for i, v := range r[a][metric] {
		all = append(all, v/r[b][metric][i])
	}
	return spread{median(all), slices.Min(all), slices.Max(all)}
}

type spread struct{ mid, low, high float64 }

func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// percentile is that of durations, in µs. It sorts them.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	slices.Sort(all)
	i := min(len(all)-1, int(p*float64(len(all))))
	return float64(all[i].Nanoseconds()) / 1000
}

func most(all []float64) float64 { return slices.Max(all) }
