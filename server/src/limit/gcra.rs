//! The arithmetic of a token bucket, as one number: the moment at which the bucket is full again ("generic cell rate
//! algorithm"). Whole microseconds, so that the script in Redis computes the very same.

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Microseconds until one more request is allowed.
    interval: i64,
    /// Requests that a full bucket holds.
    burst: i64,
    /// Requests in a minute as they were configured: the interval is rounded, so that it does not give them back.
    requests: i64,
}

/// What is kept of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it is full again, in microseconds; full now where that has passed.
    pub full_at: i64,
    /// The interval with which that was worked out: with another one, the same moment means another level.
    pub interval: i64,
}

/// What a bucket says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may pass, and so many more may follow at once.
    Allowed { remaining: i64 },
    /// It may pass in so many microseconds.
    Refused { wait: i64 },
}

const MINUTE: i64 = 60_000_000;

impl Rate {
    /// The interval is rounded up: never more than `requests` in a minute pass.
    #[must_use]
    pub fn per_minute(requests: u32, burst: u32) -> Self {
        let requests = i64::from(requests.max(1));
        Self { interval: (MINUTE + requests - 1) / requests, burst: i64::from(burst.max(1)), requests }
    }

    /// The same with another number of requests in a minute, another burst, or both.
    #[must_use]
    pub fn with(self, requests: Option<u32>, burst: Option<u32>) -> Self {
        let other = Self::per_minute(requests.unwrap_or(1), burst.unwrap_or(1));
        let rate = if requests.is_some() { other } else { self };
        Self { burst: if burst.is_some() { other.burst } else { self.burst }, ..rate }
    }

    /// What one of `replicas` may let through by itself. One request at least fits at once, or nobody ever passed.
    #[must_use]
    pub fn share(self, replicas: u32) -> Self {
        let replicas = i64::from(replicas.max(1));
        Self {
            interval: self.interval.saturating_mul(replicas),
            burst: (self.burst / replicas).max(1),
            requests: ((self.requests + replicas / 2) / replicas).max(1),
        }
    }

    /// So many times as many requests in a minute, and as many at once.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        let factor = i64::from(factor.max(1));
        Self {
            interval: (self.interval.saturating_add(factor - 1) / factor).max(1),
            requests: self.requests.saturating_mul(factor),
            burst: self.burst,
        }
    }

    /// Requests in a minute, as configured; those of a share are rounded to a whole number, and at least one.
    #[must_use]
    pub fn requests_per_minute(self) -> i64 {
        self.requests
    }

    #[must_use]
    pub fn burst(self) -> i64 {
        self.burst
    }

    #[must_use]
    pub fn interval(self) -> i64 {
        self.interval
    }
}

impl Bucket {
    /// Takes one request out, if it is in. A refused request leaves the bucket as it is.
    #[must_use]
    pub fn take(self, rate: Rate, now: i64) -> (Self, Answer) {
        let capacity = rate.interval.saturating_mul(rate.burst);
        let full_at = self.under(rate, now).min(now.saturating_add(capacity)).max(now);
        let next = full_at.saturating_add(rate.interval);
        let used = next - now;
        if used > capacity {
            let kept = Self { full_at, interval: rate.interval };
            return (kept, Answer::Refused { wait: used - capacity });
        }
        let taken = Self { full_at: next, interval: rate.interval };
        (taken, Answer::Allowed { remaining: (capacity - used) / rate.interval })
    }

    /// Puts back what a request took that was then refused elsewhere.
    #[must_use]
    pub fn put_back(self) -> Self {
        Self { full_at: self.full_at - self.interval, ..self }
    }

    /// When the bucket is full again at this rate: as many requests are missing from it as before the rate changed.
    fn under(self, rate: Rate, now: i64) -> i64 {
        let missing = self.full_at - now;
        if missing <= 0 || self.interval == rate.interval || self.interval <= 0 {
            return self.full_at;
        }
        let (whole, part) = (missing / self.interval, missing % self.interval);
        let part = i128::from(part) * i128::from(rate.interval);
        let part = (part + i128::from(self.interval) - 1) / i128::from(self.interval);
        let missing = whole.saturating_mul(rate.interval);
        now.saturating_add(missing).saturating_add(i64::try_from(part).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passed(bucket: &mut Bucket, rate: Rate, now: i64) -> bool {
        let (next, answer) = bucket.take(rate, now);
        *bucket = next;
        matches!(answer, Answer::Allowed { .. })
    }

    #[test]
    fn a_burst_passes_and_then_one_each_interval() {
        let (rate, mut bucket) = (Rate::per_minute(100, 10), Bucket::default());
        let start = 1_000_000_000;
        for left in (0..10).rev() {
            let (next, answer) = bucket.take(rate, start);
            assert_eq!(answer, Answer::Allowed { remaining: left });
            bucket = next;
        }
        assert_eq!(bucket.take(rate, start).1, Answer::Refused { wait: 600_000 });
        assert_eq!(bucket.take(rate, start + 599_999).1, Answer::Refused { wait: 1 });
        assert!(passed(&mut bucket, rate, start + 600_000) && !passed(&mut bucket, rate, start + 600_000));
        assert_eq!(bucket.take(rate, start + 100_000_000).1, Answer::Allowed { remaining: 9 });
    }

    #[test]
    fn a_changed_rate_keeps_the_level() {
        let (slow, fast) = (Rate::per_minute(60, 10), Rate::per_minute(600, 10));
        for (before, after) in [(slow, fast), (fast, slow)] {
            let mut bucket = Bucket::default();
            assert!((0..10).all(|_| passed(&mut bucket, before, 1_000_000_000)));
            assert_eq!(
                bucket.take(after, 1_000_000_000).1,
                Answer::Refused { wait: after.interval },
                "an empty bucket stays empty"
            );
            let later = 1_000_000_000 + 3 * before.interval;
            assert_eq!(bucket.take(after, later).1, Answer::Allowed { remaining: 2 });
        }
        let mut bucket = Bucket::default();
        assert!((0..10).all(|_| passed(&mut bucket, slow, 1_000_000_000)));
        let smaller = Rate::per_minute(60, 2);
        assert_eq!(bucket.take(smaller, 1_000_000_000).1, Answer::Refused { wait: 1_000_000 }, "no debt");
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let (rate, mut bucket) = (Rate::per_minute(60, 5), Bucket::default());
        assert!(passed(&mut bucket, rate, 1_000_000_000_000));
        assert_eq!(bucket.take(rate, 1_000_000).1, Answer::Refused { wait: 1_000_000 });
    }

    #[test]
    fn what_is_not_said_stays() {
        let rate = Rate::per_minute(100, 10);
        assert_eq!(rate.with(None, None), rate);
        assert_eq!(rate.with(Some(6), None), Rate::per_minute(6, 10));
        assert_eq!(rate.with(None, Some(2)), Rate::per_minute(100, 2));
        assert_eq!(rate.times(10), Rate::per_minute(1000, 10));
        assert_eq!(Rate::per_minute(1_000_000, 1).times(1_000_000).interval(), 1);
    }

    #[test]
    fn shares_add_up_to_no_more_than_the_whole() {
        let rate = Rate::per_minute(100, 10);
        assert_eq!(rate.share(4), Rate { interval: 2_400_000, burst: 2, requests: 25 });
        assert_eq!(rate.share(0), rate);
        assert_eq!(Rate::per_minute(1, 1).share(1000).burst, 1);
    }

    #[test]
    fn seven_requests_a_minute_are_reported_as_seven() {
        for requests in [1, 6, 7, 11, 13, 100, 777, 999_999, 1_000_000] {
            assert_eq!(Rate::per_minute(requests, 1).requests_per_minute(), i64::from(requests));
        }
        let rate = Rate::per_minute(7, 10);
        assert_eq!(rate.with(None, Some(2)).requests_per_minute(), 7);
        assert_eq!(rate.with(Some(13), None).requests_per_minute(), 13);
        let shares = [1, 2, 3, 100].map(|replicas| rate.share(replicas).requests_per_minute());
        assert_eq!(shares, [7, 4, 2, 1], "of a share, the nearest whole number, and never none");
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(
            requests in 1_u32..2000, burst in 1_u32..50, steps in prop::collection::vec(0_i64..200_000, 1..300)
        ) {
            let (rate, mut bucket, mut now) = (Rate::per_minute(requests, burst), Bucket::default(), 1_000_000_000);
            let (start, mut count) = (now, 0);
            for step in steps {
                now += step;
                count += i64::from(passed(&mut bucket, rate, now));
                prop_assert!(count <= rate.burst + (now - start) / rate.interval);
            }
        }

        #[test]
        fn what_is_put_back_can_be_taken_again(level in 0_i64..5, burst in 5_u32..10) {
            let (rate, mut bucket) = (Rate::per_minute(100, burst), Bucket::default());
            for _ in 0..level {
                prop_assert!(passed(&mut bucket, rate, 1_000_000_000));
            }
            let (taken, first) = bucket.take(rate, 1_000_000_000);
            let (_, again) = taken.put_back().take(rate, 1_000_000_000);
            prop_assert_eq!(first, again);
        }
    }
}
