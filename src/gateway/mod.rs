//! The data plane: the stages of a call, one file each. Knows neither `store` nor `workflow`.
