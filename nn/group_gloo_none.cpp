/* Gloo's headers were not there when this was built. */
#include "nn/group_private.h"

namespace vsl
{

Collectives gloo(const Meeting &)
{
    throw Failure(VSL_E_UNSUPPORTED,
                  "built without Gloo (libgloo-dev), which joins processes that compute on the host");
}

} // namespace vsl
