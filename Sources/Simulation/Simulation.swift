/// The log's real machines over a network that is made up: places in the world, round trips, loss and faults, in virtual
/// time. Behind `martlet simulate`.
package enum Simulation {
    /// Runs it to the end: until every node has everything, or three virtual minutes after the last change.
    package static func run(_ options: SimulationOptions) throws(SimulationOptionError) -> SimulationReport {
        try options.check()
        let world = SimulatedWorld(options)
        world.run()
        return SimulationReport(world)
    }
}
