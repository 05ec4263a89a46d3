//! Statistics of agents, places, groups, queues and sites, made from the events that clients of the CTI interface hear.
