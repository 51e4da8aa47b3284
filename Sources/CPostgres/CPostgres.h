/* The client library of PostgreSQL, as Debian's libpq-dev brings it. Sources/ControlPlane/Store is its one importer. */
#pragma once
#include <libpq-fe.h>
