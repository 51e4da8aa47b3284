import ConfigLog

// Who there is, where they stand and whom they follow.
extension SimulatedWorld {
    func build() {
        var places = SeededGenerator(seed: options.seed ^ 0x5EED_0F91_ACE5)
        let rootPosition = LogPosition(epoch: 1, sequence: 0, hash: .zero)
        let bounds = options.effectiveBounds
        let rootSite = Site(region: WorldMap.rootRegion, &places)
        let relaySites = sites(options.relayCount, &places)
        let edgeSites = sites(options.edges, &places)
        let relayNames = relaySites.enumerated().map { "relay-\($0)-\(WorldMap.regions[$1.region].name)" }
        add(rootSite, parents: [], LogNode.root(name: "root", at: rootPosition, bounds: bounds))
        for (index, site) in relaySites.enumerated() {
            var parents = [0]
            // Another way to the root, should the own one fail.
            if relaySites.count > 1 { parents.append(1 + nearest(to: site, relaySites, but: index)) }
            if options.faults.contains(.forkedEpoch), index == 1 { parents.insert(impostorIndex, at: 1) }
            let names = parents.map { $0 == 0 ? "root" : $0 == impostorIndex ? "root-2" : relayNames[$0 - 1] }
            add(
                site, parents: parents,
                LogNode.relay(
                    name: relayNames[index], at: .none, parents: names, seed: places.next(), bounds: bounds))
        }
        var placed = Array(repeating: 0, count: WorldMap.regions.count)
        for (index, site) in edgeSites.enumerated() {
            let chosen = relaysFor(site, number: placed[site.region], relaySites)
            placed[site.region] += 1
            add(
                site, parents: chosen.map { $0 + 1 },
                LogNode.leaf(
                    name: "edge-\(index)-\(WorldMap.regions[site.region].name)", at: .none,
                    parents: chosen.map { relayNames[$0] }, seed: places.next(), bounds: bounds))
        }
    }

    /// Behind the root, the relays and the edges.
    var impostorIndex: Int { 1 + options.relayCount + options.edges }

    func add(_ site: Site, parents: [Int], _ machine: LogNode) {
        nodes.append(
            SimulatedNode(
                index: nodes.count, site: site, parents: parents, machine: machine,
                replica: SimulatedReplica(pairs: options.keyPairs, valueBytes: options.valueBytes)))
    }

    private func sites(_ count: Int, _ places: inout SeededGenerator) -> [Site] {
        var sites: [Site] = []
        for (region, share) in WorldMap.share(count).enumerated() {
            for _ in 0..<share { sites.append(Site(region: region, &places)) }
        }
        return sites
    }

    private func nearest(to site: Site, _ relays: [Site], but own: Int) -> Int {
        relays.indices.filter { $0 != own }.min {
            (site.roundTrip(to: relays[$0]), $0) < (site.roundTrip(to: relays[$1]), $1)
        } ?? 0
    }

    /// Three relays at most: of those in the region each in turn, behind it the nearest.
    private func relaysFor(_ site: Site, number: Int, _ relays: [Site]) -> [Int] {
        var order = relays.indices.sorted {
            (site.roundTrip(to: relays[$0]), $0) < (site.roundTrip(to: relays[$1]), $1)
        }
        let near = relays.indices.filter { relays[$0].region == site.region }
        if !near.isEmpty {
            let first = near[number % near.count]
            order.removeAll { $0 == first }
            order.insert(first, at: 0)
        }
        return Array(order.prefix(3))
    }
}
