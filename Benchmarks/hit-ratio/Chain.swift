/// A list of objects in order, each found at once: what LRU and its like need.
struct Chain {
    struct Member {
        var object: UInt32
        var bytes: Int
    }

    private struct Node {
        var member: Member
        var before: Int
        var after: Int
    }

    private var places: [UInt32: Int] = [:]
    private var nodes: [Node] = []
    private var free: [Int] = []
    private var front = -1
    private var back = -1
    private(set) var bytes = 0

    var first: Member? { front < 0 ? nil : nodes[front].member }

    func has(_ object: UInt32) -> Bool { places[object] != nil }

    mutating func append(_ object: UInt32, bytes: Int) {
        let node = Node(member: Member(object: object, bytes: bytes), before: back, after: -1)
        let place: Int
        if let last = free.popLast() {
            place = last
            nodes[place] = node
        } else {
            place = nodes.count
            nodes.append(node)
        }
        if back < 0 { front = place } else { nodes[back].after = place }
        back = place
        places[object] = place
        self.bytes += bytes
    }

    @discardableResult
    mutating func popFront() -> Member? {
        guard let first else { return nil }
        remove(first.object)
        return first
    }

    /// Its bytes, if it was there.
    @discardableResult
    mutating func remove(_ object: UInt32) -> Int? {
        guard let place = places.removeValue(forKey: object) else { return nil }
        let node = nodes[place]
        if node.before < 0 { front = node.after } else { nodes[node.before].after = node.after }
        if node.after < 0 { back = node.before } else { nodes[node.after].before = node.before }
        free.append(place)
        bytes -= node.member.bytes
        return node.member.bytes
    }

    mutating func moveToBack(_ object: UInt32) -> Bool {
        guard let bytes = remove(object) else { return false }
        append(object, bytes: bytes)
        return true
    }
}

/// How often objects were asked for lately, roughly: four rows of counters up to 15, halved now and then.
struct Sketch {
    private var rows: [[UInt8]]
    private let mask: Int
    private var added = 0

    init(counters: Int) {
        var width = 64
        while width < counters { width *= 2 }
        mask = width - 1
        rows = [[UInt8]](repeating: [UInt8](repeating: 0, count: width), count: 4)
    }

    private func place(_ object: UInt32, _ row: Int) -> Int {
        Int(truncatingIfNeeded: Random.mix(UInt64(object) | UInt64(row + 1) << 33)) & mask
    }

    mutating func add(_ object: UInt32) {
        for row in rows.indices {
            let place = place(object, row)
            if rows[row][place] < 15 { rows[row][place] += 1 }
        }
        added += 1
        guard added >= (mask + 1) * 10 else { return }
        added /= 2
        for row in rows.indices {
            for place in rows[row].indices { rows[row][place] /= 2 }
        }
    }

    func estimate(_ object: UInt32) -> UInt8 {
        rows.indices.map { rows[$0][place(object, $0)] }.min() ?? 0
    }
}
