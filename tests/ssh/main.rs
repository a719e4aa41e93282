//! The program with real SSH servers (OpenSSH, Dropbear and TinySSH) and with hostile ones: results, failures, and what is left
//! on the clients.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what failed by panicking")]

mod bastions;
mod failures;
mod holding;
mod host_keys;
mod hostile;
mod hostile_bastions;
mod init;
mod keeping;
mod keys;
mod large;
mod least_privilege;
mod logins;
mod pam;
mod placing;
mod secrecy;
mod ssh_config;
mod startup;
mod sweeping;

use bastions::*;
use failures::*;
use holding::*;
use host_keys::*;
use hostile::*;
use hostile_bastions::*;
use init::*;
use keeping::*;
use keys::*;
use large::*;
use least_privilege::*;
use logins::*;
use pam::*;
use placing::*;
use secrecy::*;
use ssh_config::*;
use startup::*;

support::trials! {
    // The longest is started first, because it mostly waits.
    needs() => every_attack_fails_as_what_it_is_and_the_others_are_collected;
    needs(Ssh) => every_configuration_means_what_it_means_to_ssh;
    needs(Sshd, Ssh, Root) =>
        what_ssh_config_says_leads_to_the_clients,
        the_right_key_or_certificate_is_shown_within_two_attempts,
        the_default_keys_are_used_where_nothing_is_named,
        a_key_file_is_used_or_said_as_what_it_is,
        a_key_of_a_security_token_is_used_by_the_ssh_agent,
        the_certificate_of_a_host_is_accepted_or_refused_with_its_reason;
    needs(Sshd, Ssh, Root, Dpkg) =>
        the_six_commands_make_an_account_that_reports_and_can_do_nothing_else,
        what_is_wrong_with_an_installed_agent_is_said;
    needs(Sshd, Root) =>
        every_kind_of_login_is_collected_and_stored,
        clients_behind_bastions_are_collected_over_one_session_with_each,
        a_bastion_that_cannot_be_used_is_one_failure_and_no_failure_of_the_clients,
        trust_pins_a_bastion_before_it_logs_in_there,
        each_key_exchange_and_cipher_that_is_offered_is_used_with_openssh,
        an_old_server_is_collected_with_legacy_and_its_list_is_shown_without,
        each_failure_has_its_stage_and_its_words_and_the_others_are_collected,
        a_refused_password_is_tried_once,
        a_refused_login_is_held_until_the_operator_asks_or_the_pause_ends,
        a_refused_credential_that_changes_is_tried_at_once,
        a_login_that_is_held_still_counts_as_unreachable,
        an_ssh_agent_that_hangs_while_it_signs_is_our_failure_and_not_the_clients,
        a_server_that_drops_logins_above_its_limit_is_visited_again,
        an_agent_that_fails_is_said_with_its_end_and_tried_again,
        a_kept_agent_goes_with_clean,
        a_directory_of_the_configuration_is_checked_and_its_failures_name_it,
        an_agent_that_is_not_kept_leaves_nothing_behind_however_it_ends,
        an_agent_that_vanishes_before_it_is_executed_is_sent_again,
        several_sweeps_at_once_share_one_client,
        a_changed_host_key_is_refused_before_a_credential_is_sent,
        trust_pins_once_and_over_another_key_only_by_name,
        host_keys_of_the_ssh_tools_are_accepted_as_they_are,
        init_pins_what_it_showed_and_writes_a_configuration_that_sweeps,
        init_takes_hosts_of_ssh_config_without_copying_it,
        secrets_are_in_no_output_no_file_and_no_process,
        logins_that_pam_delays_and_asks_for_are_collected_and_those_that_it_refuses_are_quoted,
        a_large_sweep_waits_for_its_slowest_deadline_alone;
    needs(Sshd, Root, Zsh, Tmux) => what_takes_the_place_of_the_command_is_recognised;
    needs(Sshd, Root, CodePam) => a_code_that_is_asked_for_is_named_and_gets_no_password;
    needs(Sshd, Dropbear, Root, Fish, Tcsh, Zsh) => every_login_shell_is_collected_whatever_it_prints;
    needs(Tinyssh, Sshd, Root) => a_server_that_closes_when_a_command_ends_is_collected;
    needs() =>
        a_cancelled_client_is_stored_as_it_is_told,
        a_line_of_the_log_names_its_sweep_client_and_stage,
        a_name_with_several_addresses_is_met_at_the_one_that_answers,
        a_kept_agent_is_executed_again_and_not_sent_again,
        a_kept_agent_that_is_damaged_is_replaced_before_it_is_executed,
        a_directory_of_somebody_else_is_not_entered,
        an_agent_that_the_client_refuses_to_execute_is_blocked,
        whatever_lies_in_the_directory_of_the_agent_the_new_one_stays_and_the_old_ones_go,
        a_server_that_shows_the_password_that_it_got_does_not_get_it_stored,
        a_bastion_that_carries_few_connections_gets_as_many_sessions_as_its_clients_need,
        every_attack_of_a_bastion_fails_as_what_it_is_and_the_others_are_collected,
        costly_key_exchanges_do_not_cost_the_healthy_clients,
        a_kept_session_that_talks_unasked_ends_and_the_client_is_collected_all_the_same,
        a_kept_session_is_not_used_once_its_host_key_is_not_accepted,
        a_session_that_waits_is_kept_through_ordinary_talk,
        no_plain_statistic_crosses_the_channel;
}
