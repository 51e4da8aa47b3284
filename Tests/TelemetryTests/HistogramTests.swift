import Telemetry
import Testing

@Suite struct HistogramTests {
    @Test func boundsGrow() throws {
        var last: UInt64 = 0
        for bucket in 0..<HistogramBuckets.count - 1 {
            let bound = try #require(HistogramBuckets.upperBound(bucket))
            #expect(bound > last)
            last = bound
        }
        #expect(HistogramBuckets.upperBound(HistogramBuckets.count - 1) == nil)
        #expect(HistogramBuckets.upperBound(-1) == nil)
        #expect(HistogramBuckets.upperBound(0) == 32_768)
        #expect(last == 1 << 36)
    }

    @Test func boundBelongsToItsBucketAndTheNextValueToTheNext() throws {
        for bucket in 0..<HistogramBuckets.count - 1 {
            let bound = try #require(HistogramBuckets.upperBound(bucket))
            #expect(HistogramBuckets.index(nanoseconds: bound) == bucket)
            #expect(HistogramBuckets.index(nanoseconds: bound - 1) == bucket)
            #expect(HistogramBuckets.index(nanoseconds: bound + 1) == bucket + 1)
        }
    }

    @Test(arguments: [
        (UInt64(0), 0), (1, 0), (UInt64.max, HistogramBuckets.count - 1), (1 << 63, HistogramBuckets.count - 1),
    ])
    func extremesStayInside(nanoseconds: UInt64, bucket: Int) {
        #expect(HistogramBuckets.index(nanoseconds: nanoseconds) == bucket)
    }

    @Test func randomValuesLieBetweenTheirBounds() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            let value = generator.next() >> UInt64.random(in: 0..<64, using: &generator)
            let bucket = HistogramBuckets.index(nanoseconds: value)
            #expect((0..<HistogramBuckets.count).contains(bucket))
            if let bound = HistogramBuckets.upperBound(bucket) { #expect(value <= bound) }
            if let lower = HistogramBuckets.upperBound(bucket - 1) { #expect(value > lower) }
        }
    }
}
