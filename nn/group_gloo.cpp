/* Gloo: collectives between processes on the host. */
#include "nn/group_private.h"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace vsl
{

Collectives gloo(const Meeting &m)
{
    auto options = c10d::ProcessGroupGloo::Options::create(m.timeout);
    options->devices.push_back(m.interface.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                                   : c10d::ProcessGroupGloo::createDeviceForInterface(m.interface));
    options->threads = 1;
    return collectives(c10::make_intrusive<c10d::ProcessGroupGloo>(m.store, m.rank, m.size, options));
}

} // namespace vsl
